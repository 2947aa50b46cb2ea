"""What is not supported, by name, with the reason. A test fails when something listed passes."""

from __future__ import annotations


def _by_name(reasons: dict[str, str]) -> dict[str, str]:
    return {name: reason for reason, names in reasons.items() for name in names.split()}


OTHER_DRAWS = {"nn.functional.rrelu"}
"""Listed operations that run, and differ from PyTorch's result because they draw other random numbers."""

OPERATIONS = _by_name({
    "PyTorch draws a slope for each negative element, so the order of draws depends on the data": (
        "nn.functional.rrelu"
    ),
    "its reference reinterprets types": (
        "linspace/tensor_overload"
    ),
    "exponent and mantissa of floating point have no counterpart": (
        "frexp"
    ),
    "reads the bits of floating point": (
        "hash_tensor"
    ),
    "no kernel": (
        "mode"
    ),
    "steps of floating point have no counterpart": (
        "nextafter"
    ),
    "marks what is missing with NaN": (
        "masked.median"
    ),
    "a chunked kernel of its own": (
        "nn.functional.linear_cross_entropy/chunked nn.functional.linear_cross_entropy/chunked_none"
    ),
    "a kernel of its own": (
        "nn.functional.ctc_loss"
    ),
    "a kernel of its own; use embedding and sum": (
        "nn.functional.embedding_bag"
    ),
    "a kernel of its own; use scatter_reduce": (
        "_segment_reduce/lengths _segment_reduce/offsets"
    ),
    "binary search depends on the data": (
        "bucketize histc histogram histogramdd isin"
    ),
    "changes memory in place": (
        "resize_ resize_as_"
    ),
    "checks the sign of its arguments with bool()": (
        "cov nn.functional.gaussian_nll_loss"
    ),
    "complex numbers are not offered": (
        "fft.hfft fft.hfft2 fft.hfftn fft.irfft fft.irfft2 fft.irfftn stft"
    ),
    "factorisations with pivots or iterations that depend on the data": (
        "cholesky cholesky_inverse cholesky_solve geqrf linalg.cholesky linalg.cholesky_ex linalg.cond "
        "linalg.det linalg.eigh linalg.eigvalsh linalg.householder_product linalg.inv linalg.inv_ex "
        "linalg.ldl_factor linalg.ldl_factor_ex linalg.ldl_solve linalg.lstsq linalg.lstsq/grad_oriented "
        "linalg.lu linalg.lu_factor linalg.lu_factor_ex linalg.lu_solve linalg.matrix_power "
        "linalg.matrix_rank linalg.matrix_rank/hermitian linalg.pinv linalg.pinv/hermitian "
        "linalg.pinv/singular linalg.qr linalg.slogdet linalg.solve linalg.solve_ex linalg.solve_triangular "
        "linalg.svdvals linalg.tensorinv linalg.tensorsolve logdet lu lu_solve lu_unpack matrix_exp norm/nuc "
        "ormqr pca_lowrank pinverse qr svd_lowrank triangular_solve"
    ),
    "no series for this special function": (
        "digamma erfinv i0 lgamma mvlgamma/mvlgamma_p_1 mvlgamma/mvlgamma_p_3 mvlgamma/mvlgamma_p_5 "
        "polygamma/polygamma_n_0 polygamma/polygamma_n_1 polygamma/polygamma_n_2 polygamma/polygamma_n_3 "
        "polygamma/polygamma_n_4 special.airy_ai special.bessel_j0 special.bessel_j1 "
        "special.chebyshev_polynomial_t special.chebyshev_polynomial_u special.chebyshev_polynomial_v "
        "special.chebyshev_polynomial_w special.hermite_polynomial_h special.hermite_polynomial_he "
        "special.i0e special.i1 special.i1e special.laguerre_polynomial_l special.legendre_polynomial_p "
        "special.log_ndtr special.modified_bessel_i0 special.modified_bessel_i1 special.ndtri "
        "special.polygamma/special_polygamma_n_0 special.shifted_chebyshev_polynomial_t "
        "special.shifted_chebyshev_polynomial_u special.shifted_chebyshev_polynomial_v "
        "special.shifted_chebyshev_polynomial_w special.spherical_bessel_j0"
    ),
    "random numbers whose distribution is secret": (
        "bernoulli multinomial"
    ),
    "random windows differ for each plane": (
        "nn.functional.fractional_max_pool2d nn.functional.fractional_max_pool3d"
    ),
    "sampling at secret places; a public grid works": (
        "grid_sampler_2d grid_sampler_3d nn.functional.grid_sample"
    ),
    "the shape of the result would tell about the values": (
        "argwhere nonzero nonzero_static unique unique_consecutive"
    ),
})
"""Operations of op_db that are refused."""

NO_SAMPLE = _by_name({
    "arguments are sparse or out of range": (
        "sparse.mm/reduce sparse.sampled_addmm"
    ),
    "no real result within the range": (
        "allclose cdouble cfloat chalf equal fft.fft fft.fft2 fft.fftn fft.ifft fft.ifft2 fft.ifftn fft.ihfft "
        "fft.ihfft2 fft.ihfftn fft.rfft fft.rfft2 fft.rfftn item special.bessel_y0 special.bessel_y1 "
        "special.erfcx special.modified_bessel_k0 special.modified_bessel_k1 "
        "special.scaled_modified_bessel_k0 special.scaled_modified_bessel_k1 tan to_sparse view_as_complex"
    ),
    "no real tensor among the arguments": (
        "arange broadcast_shapes complex empty empty_permuted empty_strided eye full igamma igammac "
        "linalg.eig linalg.eigvals linalg.svd linspace logspace logspace/tensor_overload nn.functional.unfold "
        "ones polar randint randn scalar_tensor searchsorted signal.windows.bartlett signal.windows.blackman "
        "signal.windows.cosine signal.windows.exponential signal.windows.gaussian "
        "signal.windows.general_cosine signal.windows.general_hamming signal.windows.hamming "
        "signal.windows.hann signal.windows.kaiser signal.windows.nuttall special.zeta svd zeros"
    ),
})
"""Operations of op_db whose samples hold nothing to compare."""

SHARED_ONLY = _by_name({
    "a session draws from a stream of its own, so random results differ": (
        "cauchy exponential geometric log_normal normal/in_place uniform rand_like randn_like randint_like normal "
        "normal/number_mean nn.functional.dropout nn.functional.dropout2d nn.functional.dropout3d "
        "nn.functional.alpha_dropout nn.functional.feature_alpha_dropout/with_train "
        "nn.functional.multi_head_attention_forward nn.functional.scaled_dot_product_attention"
    ),
    "x^-3 of the sample's 400 is below one unit": "nn.functional.rms_norm",
    "the gradient of a sixth power divides by 371,000, whose reciprocal is three units": "linalg.vector_norm",
    "every sample is larger than what the suite runs on shares": "_upsample_bilinear2d_aa slice_scatter",
})
"""Operations that agree with the plain protocol and cannot be compared, or not to 1e-2, on shares."""

MODULES = _by_name({
    "random windows differ for each plane": "FractionalMaxPool2d FractionalMaxPool3d",
    "the samples hold NaN": "KLDivLoss",
    "checks the sign of its arguments with bool()": "GaussianNLLLoss",
    "a kernel of its own": "CTCLoss",
})
"""Modules of module_db."""

OPTIMISERS = _by_name({
    "steps depend on the data": "Adafactor LBFGS Rprop",
    "sparse gradients": "SparseAdam",
    "wants matrices only": "Muon",
})
"""Optimisers of optim_db."""

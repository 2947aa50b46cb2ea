"""Jobs for tests, as text: complete ones that differ in what a test is about."""

A = "sha256:" + "a1" * 32
B = "sha256:" + "b2" * 32
C = "sha256:" + "c3" * 32
D = "sha256:" + "d4" * 32


def party(name, roles, fingerprint, address=None):
    lines = ["[[parties]]", f'name = "{name}"', f"roles = {list(roles)!r}".replace("'", '"')]
    lines += [f'address = "{address}"'] if address else []
    return "\n".join([*lines, f'fingerprint = "{fingerprint}"', ""])


HOSPITAL_A = party("hospital_a", ["owner", "computing", "receiver"], A, "a.example.org:7401")
HOSPITAL_B = party("hospital_b", ["owner", "computing"], B, "b.example.org:7402")
DEALER = party("dealer", ["dealer"], D, "[2001:db8::1]:7403")
CLIENT = party("clinic", ["owner", "receiver"], C)
COLUMNS = """\
[[data.columns]]
name = "age"
unit = 10
lowest = 0
highest = 120
[[data.columns]]
name = "stage"
categories = ["I", "II", "III"]
[[data.columns]]
name = "died"
lowest = 0
highest = 1
"""
MODEL = """\
[model]
estimator = "LogisticRegression"
parameters = { epochs = 6, lr = 0.05, hidden = [16, 8] }
"""
REVEALS = """\
[[reveals]]
what = "model"
to = ["hospital_a"]
"""


EVERYBODY = (HOSPITAL_A, HOSPITAL_B, DEALER)


def job(parties=EVERYBODY, *, top="", split="rows", columns=COLUMNS, model=MODEL, reveals=REVEALS):
    head = f'format = 1\nname = "trial"\n{top}\n'
    return "".join([head, *parties, f'[data]\nsplit = "{split}"\nlabel = "died"\n', columns, model, reveals])

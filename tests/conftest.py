def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=20, help="how often tests/faults/test_kills.py kills a member")

"""Options of the test suite."""


def pytest_addoption(parser):
    parser.addoption(
        "--full-matrix",
        action="store_true",
        help="every configuration with every number of partitions and batch size, on each engine",
    )

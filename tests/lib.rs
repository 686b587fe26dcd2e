//! The package that holds the tests of the whole: simulation and the rules kept by machine.

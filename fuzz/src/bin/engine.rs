//! libFuzzer's inputs, or those in the files named, for [`braid_fuzz::engine`].
#![cfg_attr(fuzzing, no_main)]

braid_fuzz::target!(engine);

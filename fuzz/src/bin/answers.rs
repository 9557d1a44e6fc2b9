//! libFuzzer's inputs, or those in the files named, for [`braid_fuzz::answers`].
#![cfg_attr(fuzzing, no_main)]

braid_fuzz::target!(answers);

//! The real Lightning network is read.

mod lightning;

use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use simulator::{import, topology::Division};

#[test]
fn the_real_lightning_network_is_read() {
    let Some(folder) = lightning::folder() else { return };
    let topology = import::cloth(&folder).expect("the files are good");
    assert_eq!((topology.nodes, topology.links.len()), (6_006, 30_457));
    topology.network().expect("it is a network");
    let rng = &mut Pcg64Mcg::seed_from_u64(1);
    let cut = import::edge_list(&folder.join("lnd_dec4_2018_reducedsize.edgelist"), 0, Division::Even, rng);
    assert!(cut.expect("the file is good").nodes > 10);
}

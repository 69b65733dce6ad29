//! `cargo xtask simulate [--people N --schools N --nodes N]`: the rushes of `sim`, as text.
//! `cargo xtask simulate --bench`: what a ticket costs.
#![expect(clippy::print_stdout, reason = "it talks to the person who typed it")]

mod bench;

use preau_admission::sim::table;

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    if given.iter().any(|it| it == "--bench") {
        print!("{}", bench::all());
        return;
    }
    let value = |name: &str| {
        let at = given.iter().position(|it| it == name)?;
        given.get(at + 1)?.parse::<u32>().ok()
    };
    print!("{}", table::render(&table::rows()));
    print!("{}", table::ablations());
    print!("{}", table::others());
    let people = value("--people").unwrap_or(200_000);
    let schools = value("--schools").unwrap_or((people / 400).max(1));
    let nodes = value("--nodes").unwrap_or((people / 16_000).max(1));
    print!("{}", table::country(people, schools, nodes));
}

//! What the moves of a plan come to. The fuzz target of the plan has it too.

use std::collections::BTreeMap;

use exec_relay::fd_plan::{FdPlan, Move};

/// Which file each number is: here, the one that the number was first.
pub type Table = BTreeMap<i32, i32>;

/// Makes the moves of a plan that has `most` renames at the most: each is a copy of what is open, and there are no more
/// than one and a copy aside for each.
#[track_caller]
pub fn make_moves(plan: &mut FdPlan, table: &mut Table, most: usize) {
    let mut moves = 0;
    while let Some(next) = plan.next_move() {
        match next {
            Move::Copy { target, source } => {
                table.insert(target, table[&source]);
                plan.copied(target);
            }
            Move::SetAside(number) => {
                let is_free = |number: &i32| !table.contains_key(number) && !plan.is_target(*number);
                let aside = (3..).find(is_free).expect("a number");
                table.insert(aside, table[&number]);
                plan.set_aside(number, aside);
            }
        }
        moves += 1;
        assert!(moves <= 2 * most, "more moves than one and a copy for each");
    }
}

//! The machine with a real database; all other parts are played by hand. After every input the rig checks that
//! the machine has nothing left to do until its next deadline. So an owner that would spin fails every test.

mod afar;
mod boot;
mod bounds;
mod commands;
mod controllers;
mod counter;
mod door;
mod facts;
mod gateway;
mod hold;
mod late_sign;
mod lost_books;
mod no_broker;
mod not_sold;
mod place;
mod refusals;
mod rig;
mod rights;
mod sales;
mod same_goods;
mod second_tries;
mod stock;
mod stores;
mod strangers;
mod system;
mod telemetry;
mod trust;

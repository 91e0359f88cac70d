//! What is known of devices, put together for people: today their health. Reports in other forms come into this room.

pub mod health;

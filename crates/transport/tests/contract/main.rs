//! The host against plugins written in C, most of them hostile: what it refuses to load, and what it
//! survives.

#[cfg(test)]
mod checks;
#[cfg(test)]
mod exec;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod loading;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod secret_service;
mod services;

pub mod fault; pub mod limits; mod decode; mod xml;

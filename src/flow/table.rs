pub struct Table;
impl Table { pub fn new(_: u8) -> Self { Table } pub fn push(&mut self, _: &[u8]) {} pub fn next(&mut self) -> Option<Vec<Vec<u8>>> { None } pub fn finish(&mut self) {} }

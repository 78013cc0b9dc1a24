/** What the stand-ins for a model take for one thing: words that the hub's own vectors have no reason to bring together. */
export const CONCEPTS = [
  ['kitten', 'whiskers', 'purring', 'feline', 'cat'],
  ['engine', 'gearbox', 'diesel', 'automobile', 'car'],
  ['flour', 'dough', 'oven', 'pastry', 'bread'],
];

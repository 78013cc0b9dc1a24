// Changes of inputs: bytes, and pieces that parsers have a branch for. The same seed gives the same inputs.

const WORDS = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '\\u0000',
  '\\ud800',
  '"__proto__":',
  '"constructor":',
  'null',
  'true',
  'false',
  '-1',
  '1e999',
  '0.1',
  '9007199254740993',
  '""',
  '[]',
  '{}',
  '---\n',
  '---',
  '\n',
  '\r\n',
  '\t',
  ' ',
  '# ',
  '- ',
  '&a ',
  '*a',
  '<<: ',
  '!!js/function ',
  '|\n',
  '>\n',
  '? ',
  '../',
  './',
  '/',
  'C:',
  '\0',
  '\u202e',
  '\u0130',
  '\u212a',
  '\ufeff',
  '\ud83d\ude00',
  '$',
  '${',
  '${A}',
  '${CLAUDE_PLUGIN_ROOT}',
  '!`x`',
  '```!\n',
  'Bash(',
  'Bash(git:*)',
  'mcp__haivemind__*',
  '"hooks":',
  '"command":',
  '"args":',
  '"url":',
  '"env":',
  '"matcher":',
  '"if":',
  '"type":',
  '"name":',
  '"version":',
  '"commands":',
  '"agents":',
  '"skills":',
  '"mcpServers":',
  '"dependencies":',
  '"plugins":',
  '"haivemind":',
  '"permissions":',
  '"components":',
  '"source":',
  '"digest":',
  '"files":',
  '"path":',
  '"sha256":',
  '"size":',
  '"delta":',
  '"signatures":',
  '"epoch":',
  '"counter":',
  '"revoked":',
  '"problems":',
  '^1.0.0',
  '*',
  'PK\u0003\u0004',
  'PK\u0001\u0002',
  'PK\u0005\u0006',
].map((word) => Buffer.from(word));

/** @returns a function that makes one input out of a corpus */
export function mutator(seed) {
  let state = [...seed].reduce((hash, c) => Math.imul(hash ^ c.charCodeAt(0), 0x01000193), 0x811c9dc5) | 0;
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n) => Math.floor(random() * n);
  const pick = (list) => list[below(list.length)];
  const put = (input, at, gone, piece) => Buffer.concat([input.subarray(0, at), piece, input.subarray(at + gone)]);

  const changes = [
    (input) => put(input, below(input.length), 1, Buffer.from([below(256)])),
    (input) => {
      const copy = Buffer.from(input);
      if (copy.length > 0) copy[below(copy.length)] ^= 1 << below(8);
      return copy;
    },
    (input) => put(input, below(input.length + 1), 0, pick(WORDS)),
    (input) => put(input, below(input.length + 1), 1 + below(6), pick(WORDS)),
    (input) => put(input, below(input.length), 1 + below(Math.min(32, input.length + 1)), Buffer.alloc(0)),
    (input) => {
      const at = below(input.length);
      return put(input, below(input.length + 1), 0, input.subarray(at, at + 1 + below(64)));
    },
    (input, corpus) => {
      const other = pick(corpus);
      const at = below(other.length);
      return put(input, below(input.length + 1), below(32), other.subarray(at, at + 1 + below(128)));
    },
    (input, corpus) =>
      Buffer.concat([
        input.subarray(0, below(input.length + 1)),
        pick(corpus).subarray(below(pick(corpus).length + 1)),
      ]),
    (input) => {
      const piece = input.subarray(below(input.length), below(input.length) + 1 + below(24));
      return put(input, below(input.length + 1), 0, Buffer.concat(Array.from({ length: 1 + below(60) }, () => piece)));
    },
    jsonValue,
  ];

  /** Replaces a number, a text or a whole value, so that what is JSON stays JSON. */
  function jsonValue(input) {
    let value;
    try {
      value = JSON.parse(input.toString());
    } catch {
      return input;
    }
    const places = [];
    const walk = (inner, depth) => {
      if (typeof inner !== 'object' || inner === null || depth > 12) return;
      for (const key of Object.keys(inner)) {
        places.push([inner, key]);
        walk(inner[key], depth + 1);
      }
    };
    walk(value, 0);
    if (places.length === 0) return Buffer.from(JSON.stringify(pick([[value], { a: value }, null, 1, 'x'])));
    const [object, key] = pick(places);
    const [, other] = [pick(places)].map(([o, k]) => [k, o[k]])[0];
    const what = below(9);
    if (what === 0) delete object[key];
    else if (what === 1) object[key] = other;
    else if (what === 2) object[`${key}${pick(['', 's', '_', '2'])}`] = pick([null, [], {}, 'x', 0]);
    else if (what === 3 && Array.isArray(object)) object.push(structuredClone(other ?? null));
    else
      object[key] = pick([
        null,
        true,
        -1,
        1.5,
        1e308,
        '',
        'x'.repeat(below(300)),
        [],
        {},
        [null],
        { __proto__: null, x: 1 },
        '__proto__',
        '../x',
        '${A}',
        [[[]]],
        'constructor',
      ]);
    try {
      return Buffer.from(JSON.stringify(value) ?? 'null');
    } catch {
      return input;
    }
  }

  return (corpus) => {
    let input = pick(corpus);
    for (let n = 1 + below(4); n > 0; n--) input = pick(changes)(input, corpus);
    return input;
  };
}

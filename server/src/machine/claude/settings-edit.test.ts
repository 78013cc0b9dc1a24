import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noFileNotes } from '../receipts/index.ts';
import { getKeyText, parseSettings, removeKey, setKey } from './settings-edit.ts';

const WHERE = 'settings.json';
const VALUE = { source: { source: 'directory', path: '/x "y" ü' } };

/** A JSON object as a careless person would write it: any space, line end, order, BOM. */
const space = fc.constantFrom('', ' ', '\n', '\r\n', '\t', '\n    ', '  \n\t', '\r\n  ');
const scalar = fc.oneof(
  fc.constantFrom('true', 'false', 'null', '0', '-1.5e3', '""', '"\\"},{"', '"\\\\"', '[]', '[1, {"a": "]"}]'),
  fc.string().map((s) => JSON.stringify(s)),
);
const key = fc.oneof(fc.constantFrom('a', 'model', 'hooks', 'x/y~z', 'é'), fc.string({ maxLength: 4 }));

function object(depth: number, names: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const value = depth === 0 ? scalar : fc.oneof(scalar, object(depth - 1, key));
  const property = fc.tuple(names, space, space, value, space, space);
  return fc
    .tuple(fc.uniqueArray(property, { maxLength: 4, selector: ([name]) => name }), space)
    .map(([properties, inner]) =>
      properties.length === 0
        ? `{${inner}}`
        : `{${properties.map(([n, a, b, v, c, d]) => `${d}${JSON.stringify(n)}${a}:${b}${v}${c}`).join(',')}}`,
    );
}

const file = fc
  .tuple(
    fc.constantFrom('', '\uFEFF'),
    space,
    object(2, key),
    fc.option(object(0, key), { nil: undefined }),
    fc.option(object(0, key), { nil: undefined }),
    space,
  )
  .map(([bom, lead, base, enabled, known, tail]) => {
    let body = base;
    for (const [name, text] of [
      ['enabledPlugins', enabled],
      ['extraKnownMarketplaces', known],
    ]) {
      if (text === undefined) continue;
      const empty = /^\{\s*\}$/.test(body);
      body = `{"${name}": ${text}${empty ? '' : ','}${body.slice(1)}`;
    }
    return `${bom}${lead}${body}${tail}`;
  });

const edits = fc.uniqueArray(fc.constantFrom('one@collective', 'two@collective', 'three@collective'), { minLength: 1 });

describe('keys in settings.json', () => {
  it('come out again without a byte changed, in any order', () => {
    fc.assert(
      fc.property(file, edits, fc.boolean(), (text, names, backwards) => {
        const notes = noFileNotes();
        const paths = [['extraKnownMarketplaces', 'collective'], ...names.map((name) => ['enabledPlugins', name])];
        let now = text;
        for (const path of paths) now = setKey(now, path, path.length > 1 ? VALUE : true, notes, WHERE);
        const parsed = parseSettings(now, WHERE) as Record<string, Record<string, unknown>>;
        for (const [a = '', b = ''] of paths) expect(parsed[a]?.[b]).toEqual(VALUE);
        for (const path of backwards ? [...paths].reverse() : paths) now = removeKey(now, path, notes, WHERE);
        expect(now).toBe(text);
        expect(notes).toEqual(noFileNotes());
      }),
      { numRuns: 2000 },
    );
  });

  it('leave every other key as it was', () => {
    fc.assert(
      fc.property(file, (text) => {
        const now = setKey(text, ['enabledPlugins', 'a@collective'], true, noFileNotes(), WHERE);
        const before = parseSettings(text, WHERE) as Record<string, unknown>;
        const enabled = { ...(before.enabledPlugins as object), 'a@collective': true };
        expect(parseSettings(now, WHERE)).toEqual({ ...before, enabledPlugins: enabled });
      }),
    );
  });

  it('follow the indentation and the line ends that are there', () => {
    const text = '{\r\n\t"a": {\r\n\t\t"b": 1\r\n\t}\r\n}';
    expect(setKey(text, ['k', 'x'], [1], noFileNotes(), WHERE)).toBe(
      '{\r\n\t"a": {\r\n\t\t"b": 1\r\n\t},\r\n\t"k": {\r\n\t\t"x": [\r\n\t\t\t1\r\n\t\t]\r\n\t}\r\n}',
    );
    expect(setKey('{"a":1}', ['k', 'x'], true, noFileNotes(), WHERE)).toBe('{"a":1,"k":{"x":true}}');
  });

  it('that were rewritten by the client are taken out of its text', () => {
    const notes = noFileNotes();
    setKey('{"z":1}', ['enabledPlugins', 'a@collective'], true, notes, WHERE);
    const theirs = '{\n  "enabledPlugins": {\n    "a@collective": false,\n    "x@y": true\n  },\n  "z": 1\n}\n';
    expect(removeKey(theirs, ['enabledPlugins', 'a@collective'], notes, WHERE)).toBe(
      '{\n  "enabledPlugins": {\n    "x@y": true\n  },\n  "z": 1\n}\n',
    );
  });

  it('that replaced a value give it back, unless someone changed ours', () => {
    const notes = noFileNotes();
    const text = '{ "k" : {"x":  true} }';
    const ours = setKey(text, ['k', 'x'], false, notes, WHERE);
    expect(ours).toBe('{ "k" : {"x":  false} }');
    expect(removeKey(ours, ['k', 'x'], structuredClone(notes), WHERE)).toBe(text);
    expect(removeKey('{"k":{"x":"theirs"}}', ['k', 'x'], notes, WHERE)).toBe('{"k":{"x":"theirs"}}');
  });

  it.each([
    ['', 'empty'],
    ['{"a":1', 'torn'],
    ['{"a":1,}', 'comma'],
    ['{"a":1} // note', 'comment'],
    ['[]', 'array'],
    ['null', 'null'],
    ['{"k":[]}', 'array on the way'],
    ['{"k":null}', 'null on the way'],
    ['{"k":{},"k":{}}', 'key twice'],
    ['{"k":{"x":1,"x":2}}', 'own key twice'],
  ])('are refused in %j (%s)', (text) => {
    for (const act of [
      () => setKey(text, ['k', 'x'], true, noFileNotes(), WHERE),
      () => getKeyText(text, ['k', 'x'], WHERE),
    ])
      expect(act).toThrow(expect.objectContaining({ code: 'SETTINGS_INVALID' }));
  });

  it('can be set in a file of 20 MB', () => {
    const text = `{"big": [${'"0123456789abcdef", '.repeat(1_000_000)}1], "s": {"t": 1}}`;
    const notes = noFileNotes();
    const now = setKey(text, ['enabledPlugins', 'a'], true, notes, WHERE);
    expect(now.length).toBe(text.length + ', "enabledPlugins": {"a":true}'.length);
    expect(removeKey(now, ['enabledPlugins', 'a'], notes, WHERE) === text).toBe(true);
  });
});

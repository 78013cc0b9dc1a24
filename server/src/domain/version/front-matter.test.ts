import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { HaiveError } from '../errors.ts';
import { parseFrontMatter } from './front-matter.ts';

const codeOf = (text: string): string => {
  try {
    parseFrontMatter(text);
  } catch (error) {
    return error instanceof HaiveError ? error.code : `not ours: ${error}`;
  }
  return 'ok';
};

describe('front matter', () => {
  it('reads data and body, with any line ends and a byte order mark', () => {
    for (const nl of ['\n', '\r\n']) {
      const text = `\uFEFF---${nl}description: x${nl}tools: [a, b]${nl}---${nl}body${nl}`;
      expect(parseFrontMatter(text)).toEqual({
        data: { description: 'x', tools: ['a', 'b'] },
        body: `body${nl}`,
        hasFrontMatter: true,
      });
    }
  });
  it('knows a file without front matter', () => {
    for (const text of ['', 'body', '---\ndescription: x\nnever closed', '\n---\na: b\n---\n', '----\n']) {
      expect(parseFrontMatter(text)).toEqual({ data: {}, body: text, hasFrontMatter: false });
    }
    expect(parseFrontMatter('---\n---\nb')).toEqual({ data: {}, body: 'b', hasFrontMatter: true });
  });
  it('takes what the client takes though it is not YAML', () => {
    const { data } = parseFrontMatter('---\nargument-hint: [install|list] [name]\ndescription: Use this: now\n---\n');
    expect(data).toEqual({ 'argument-hint': '[install|list] [name]', description: 'Use this: now' });
    expect(parseFrontMatter('---\na: 1\na: 2\n---\n').data).toEqual({ a: 2 });
  });
  it.each(['- a\n- b', 'just text', '\tdescription: x\n a: : {'])('refuses %j', (yaml) => {
    expect(codeOf(`---\n${yaml}\n---\n`)).toBe('COMPONENT_INVALID');
  });
  it('names the line of a fault', () => {
    try {
      parseFrontMatter('---\na: b\n\tc: d\n e: : {\n---\n');
      expect.unreachable();
    } catch (error) {
      expect((error as HaiveError).details?.line).toBe(4);
    }
  });
});

describe('hostile front matter', () => {
  afterEach(() => {
    Reflect.deleteProperty(globalThis, 'haivemindPwned');
  });
  it.each(['js', 'javascript', 'coffee', 'json', 'JS', ' js', 'yaml'])('never runs ---%s', (language) => {
    const { data, hasFrontMatter } = parseFrontMatter(
      `---${language}\n(globalThis.haivemindPwned = {a: 1})\n---\nbody`,
    );
    expect(data).toEqual({});
    expect(hasFrontMatter).toBe(false);
    expect(Reflect.get(globalThis, 'haivemindPwned')).toBeUndefined();
  });
  it('never runs YAML tags', () => {
    for (const tag of [
      '!!js/function "function(){ globalThis.haivemindPwned = 1 }"',
      '!!js/regexp /x/',
      '!!js/undefined ""',
    ]) {
      expect(['ok', 'COMPONENT_INVALID']).toContain(codeOf(`---\na: ${tag}\n---\n`));
    }
    expect(Reflect.get(globalThis, 'haivemindPwned')).toBeUndefined();
  });
  it('refuses aliases that explode', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 12; i++)
      lines.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    expect(codeOf(`---\n${lines.join('\n')}\n---\n`)).toBe('COMPONENT_INVALID');
    const keys = Array.from({ length: 3000 }, (_, i) => `k${i}: 1`).join(', ');
    expect(
      codeOf(`---\nm: &m {${keys}}\n${Array.from({ length: 4000 }, (_, i) => `x${i}: {<<: *m}`).join('\n')}\n---\n`),
    ).toBe('COMPONENT_INVALID');
  });
  it('refuses huge and deep blocks', () => {
    expect(codeOf(`---\na: ${'x'.repeat(10_000_000)}\n---\n`)).toBe('COMPONENT_INVALID');
    expect(codeOf(`---\na: ${'['.repeat(30_000)}\n---\n`)).toBe('ok'); // text, as for the client
    expect(codeOf(`---\na: ${'['.repeat(200)}${']'.repeat(200)}\n---\n`)).toBe('COMPONENT_INVALID');
    expect(codeOf(`${'x'.repeat(10_000_000)}`)).toBe('ok');
  });
  it('is not hidden behind a long first line', () => {
    expect(parseFrontMatter(`---${' '.repeat(5000)}\nname: a\n---\n`).data).toEqual({ name: 'a' });
    expect(parseFrontMatter(`---${' '.repeat(5000)}x\nname: a\n---\n`).hasFrontMatter).toBe(false);
  });
  it('drops keys that reach a prototype', () => {
    const { data } = parseFrontMatter(
      '---\n__proto__: {polluted: 1}\nconstructor: {prototype: {polluted: 1}}\na: {__proto__: {b: 1}}\n---\n',
    );
    expect(data).toEqual({ a: {} });
    expect(Object.getPrototypeOf(data)).toBe(Object.prototype);
    expect((data as { polluted?: unknown }).polluted).toBeUndefined();
  });
  it('answers or throws ours, whatever it is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (yaml) => {
        expect(['ok', 'COMPONENT_INVALID']).toContain(codeOf(`---\n${yaml}\n---\n`));
      }),
    );
  });
});

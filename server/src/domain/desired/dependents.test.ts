import { describe, expect, it } from 'vitest';
import { circleOf, dependentsOn, type Needs } from './dependents.ts';

const needs = (table: Record<string, string[]>): Needs =>
  new Map(
    Object.entries(table).map(([name, list]) => [
      name,
      list.map((text) => ({ name: text.replace('?', ''), kind: text.endsWith('?') ? 'optional' : 'required' })),
    ]),
  );

describe('what goes together', () => {
  it('is a plugin alone unless others need it and it needs them', () => {
    const chain = needs({ app: ['lib'], lib: ['base', 'lib'], base: [] });
    expect(circleOf('lib', chain)).toEqual(['lib']);
    expect(circleOf('unknown', chain)).toEqual(['unknown']);
    expect(dependentsOn(['lib'], chain)).toEqual(['app']);
    expect(dependentsOn(['app'], chain)).toEqual([]);
  });

  it('is a whole circle, which others from outside may need', () => {
    const circle = needs({ app: ['b'], a: ['b'], b: ['c'], c: ['a', 'base'], base: [] });
    expect(circleOf('c', circle)).toEqual(['a', 'b', 'c']);
    expect(dependentsOn(['a', 'b', 'c'], circle)).toEqual(['app']);
    expect(circleOf('app', circle)).toEqual(['app']);
  });

  it('is no circle where one half is optional', () => {
    const loose = needs({ a: ['b'], b: ['a?'] });
    expect(circleOf('a', loose)).toEqual(['a']);
    expect(dependentsOn(['a'], loose)).toEqual([]);
  });
});

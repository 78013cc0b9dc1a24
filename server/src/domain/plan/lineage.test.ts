import { describe, expect, it } from 'vitest';
import { type Lineage, sharedUpTo, whyNotFollowed } from './lineage.ts';

const x: Lineage = ['x', 8];
const y: Lineage = ['y', 20];
const z: Lineage = ['z', 5];

describe('histories of a registry', () => {
  it.each([
    [[], [], Number.POSITIVE_INFINITY],
    [[x], [x], Number.POSITIVE_INFINITY],
    [[x], [], 8],
    [[], [x, y], 8],
    [[x, y], [x], 20],
    [[x], [z], 5],
    [[x, y], [z], 5],
  ] as [Lineage[], Lineage[], number][])('%j and %j are the same up to %d', (a, b, expected) => {
    expect(sharedUpTo(a, b)).toBe(expected);
    expect(sharedUpTo(b, a)).toBe(expected);
  });

  const at = (epoch: number, counter: number, lineage?: Lineage[]) => ({ epoch, counter, lineage });
  it.each([
    ['the same place', at(1, 8, []), at(1, 8, [])],
    ['the first plan of all', at(1, 1), undefined],
    ['a hub that was restored from a backup that nothing has overtaken', at(1, 9, [x]), at(1, 8, [])],
    ['a hub that was moved twice', at(1, 21, [x, y]), at(1, 20, [x])],
    ['the hub that was left, nothing having happened at the other', at(1, 8), at(1, 8, [x])],
    ['a history that an operator began', at(2, 1, [x]), at(1, 99, [])],
    ['what a version saw that knew no histories', at(1, 9, [x]), at(1, 9)],
  ])('%s is followed', (_, plan, seen) => {
    expect(whyNotFollowed(plan, seen)).toBeNull();
  });

  it.each([
    ['an older epoch', at(1, 99, []), at(2, 1, []), /older than 2\.1/],
    ['a lower counter', at(1, 8, [x]), at(1, 12, []), /older than 1\.12/],
    ['a restored hub whose seq has caught up', at(1, 13, [x]), at(1, 12, []), /parted at 8 from that of 1\.12/],
    ['one that a restored one was restored from again', at(1, 30, [x, y]), at(1, 12, []), /parted at 8/],
    ['the hub that was left, at a machine that has gone on', at(1, 30), at(1, 12, [x]), /parted at 8/],
    ['a hub that does not name its history', at(1, 30), at(1, 12, [x]), /parted at 8/],
  ])('%s is not followed', (_, plan, seen, why) => {
    expect(whyNotFollowed(plan, seen)).toMatch(why);
  });
});

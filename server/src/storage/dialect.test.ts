import { describe, expect, it } from 'vitest';
import { HaiveError } from '../domain/errors.ts';
import { isUniqueViolation, storageError } from './dialect.ts';

describe('storageError', () => {
  it.each([
    ['SQLITE_FULL', 'DISK_FULL'],
    ['53100', 'DISK_FULL'],
    ['SQLITE_READONLY_DBMOVED', 'READ_ONLY'],
    ['SQLITE_BUSY_SNAPSHOT', 'DATABASE_UNAVAILABLE'],
    ['SQLITE_CORRUPT', 'DATABASE_UNAVAILABLE'],
    ['ECONNREFUSED', 'DATABASE_UNAVAILABLE'],
    ['08006', 'DATABASE_UNAVAILABLE'],
    ['57P01', 'DATABASE_UNAVAILABLE'],
    ['28P01', 'DATABASE_UNAVAILABLE'],
    ['55000', 'DATABASE_UNAVAILABLE'],
  ])('names %s %s', (code, expected) => {
    const thrown = Object.assign(new Error('x'), { code });
    expect(storageError(thrown)).toMatchObject({ code: expected, cause: thrown });
  });

  it('says of a database that may only be read where to look', () => {
    const hintOf = (code: string) => (storageError(Object.assign(new Error('x'), { code })) as HaiveError).hint;
    expect(hintOf('25006')).toContain('default_transaction_read_only');
    expect(hintOf('SQLITE_READONLY')).toContain('plugins.db');
  });

  it.each([
    'Connection terminated unexpectedly',
    'Client has encountered a connection error and is not queryable',
    'Client was closed and is not queryable',
  ])('knows a lost connection that has no code: %s', (message) => {
    expect(storageError(new Error(message))).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
  });

  it('leaves alone what is about one statement, and what is coded already', () => {
    for (const code of ['23505', 'SQLITE_CONSTRAINT_UNIQUE', '42601', 'SQLITE_ERROR']) {
      const thrown = Object.assign(new Error('x'), { code });
      expect(storageError(thrown)).toBe(thrown);
    }
    const coded = new HaiveError('NOT_FOUND', 'x');
    expect(storageError(coded)).toBe(coded);
    expect(storageError(null)).toBeNull();
  });
});

describe('isUniqueViolation', () => {
  it('knows both engines, and no other violation', () => {
    const violates = (code: unknown) => isUniqueViolation({ code });
    expect(['23505', 'SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY'].map(violates)).toEqual([
      true,
      true,
      true,
    ]);
    expect(['23503', 'SQLITE_CONSTRAINT_FOREIGNKEY', 1].map(violates)).toEqual([false, false, false]);
    expect(isUniqueViolation(undefined)).toBe(false);
  });
});

import { it } from 'vitest';
import { comeBack } from './come-back.ts';

it('ten thousand machines behind one address come back after a restart, beside one that floods and guesses', () =>
  comeBack(10_000));

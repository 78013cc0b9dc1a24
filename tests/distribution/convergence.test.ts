import { expect, it } from 'vitest';
import { Model } from './convergence-model.ts';
import { checkConvergence } from './convergence-property.ts';

it('brings every machine to its desired state whatever was lost, late, repeated or out of order', () => {
  checkConvergence(1500, 20261123);
});

it('takes no step back for a plan that is older than one it has seen', () => {
  const model = new Model([{ installUpdates: true, installNew: true }]);
  const publish = (version: string) => model.run({ do: 'publish', name: 'aa', version, dependencies: [], target: '*' });
  publish('1.0.0');
  model.run({ do: 'send-plan', machine: 0 });
  publish('1.1.0');
  model.run({ do: 'send-plan', machine: 0 });
  model.run({ do: 'receive', machine: 0, pick: 1, again: false });
  model.run({ do: 'receive', machine: 0, pick: 0, again: false });
  expect(model.machines[0]?.installed.get('aa')?.version).toBe('1.1.0');
});

it('notices what is astray and what is broken', () => {
  const model = new Model([{ installUpdates: true, installNew: true }]);
  const dependencies = [{ name: 'bb', range: '^1.0.0', kind: 'required' as const }];
  model.run({ do: 'publish', name: 'bb', version: '1.0.0', dependencies: [], target: '*' });
  model.run({ do: 'publish', name: 'aa', version: '1.0.0', dependencies, target: '*' });
  expect(model.astray()).toHaveLength(2);
  expect(model.settle(8)).toBe(2);
  expect([...model.astray(), ...model.broken()]).toEqual([]);
  model.machines[0]?.installed.delete('bb');
  expect(model.broken()).toEqual(['m0: aa needs bb ^1.0.0']);
});

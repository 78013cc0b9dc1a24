import fc from 'fast-check';
import { GROUPS, Model, PLUGINS, type Step } from './convergence-model.ts';

const name = fc.constantFrom(...PLUGINS);
const machine = fc.nat(2);
const pick = fc.nat(5);
const version = fc.constantFrom('1.0.0', '1.1.0', '1.1.9', '1.2.0-rc.1', '2.0.0', '2.1.0');
const range = fc.constantFrom('*', '^1.0.0', '>=1.1.0', '^2.0.0', '1.0.0', '2.0.0');
const target = fc.constantFrom('*', 'h*', ...GROUPS);
const dependency = fc.record({
  name,
  range,
  kind: fc.constantFrom('required' as const, 'required' as const, 'optional' as const),
});
const dependencies = fc.uniqueArray(dependency, { maxLength: 2, selector: (d) => d.name });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('publish' as const), name, version, dependencies, target }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('status' as const),
      name,
      pick,
      status: fc.constantFrom(
        'published' as const,
        'deprecated' as const,
        'yanked' as const,
        'revoked' as const,
        'deleted' as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('groups' as const), machine, groups: fc.subarray(GROUPS) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('capabilities' as const), machine, capabilities: fc.subarray(['special']) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('override' as const),
      machine,
      name,
      kind: fc.constantFrom('install' as const, 'pin' as const, 'hold' as const, 'exclude' as const),
      range,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), machine, name }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('send-plan' as const), machine }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('receive' as const), machine, pick, again: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), machine, pick }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('send-report' as const), machine }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('take-report' as const), machine, pick, again: fc.boolean() }) },
);

const policy = fc.constantFrom(
  { installUpdates: true, installNew: true },
  { installUpdates: true, installNew: true },
  { installUpdates: false, installNew: true },
  { installUpdates: false, installNew: false },
);

/** Whatever happened, machines that are reachable again end where their plans say, and never held what cannot load. */
export function checkConvergence(runs: number, seed: number): void {
  fc.assert(
    fc.property(
      fc.array(policy, { minLength: 3, maxLength: 3 }),
      fc.array(step, { maxLength: 40 }),
      (policies, steps) => {
        const model = new Model(policies);
        for (const one of steps) {
          model.run(one);
          const broken = model.broken();
          if (broken.length > 0) throw new Error(`after ${one.do}: ${broken.join('; ')}`);
        }
        const rounds = model.settle(8);
        if (rounds > 8) throw new Error('the machines do not come to rest');
        const wrong = [...model.broken(), ...model.astray()];
        if (wrong.length > 0) throw new Error(wrong.join('; '));
      },
    ),
    { numRuns: runs, seed, endOnFailure: false },
  );
}

import { IN_CLIENT } from './client.ts';
import { IN_DOMAIN } from './domain.ts';
import { IN_EDGES } from './edges.ts';
import type { Guard } from './guard.ts';
import { IN_HUB } from './hub.ts';
import { IN_HUB_REGISTRY } from './hub-registry.ts';
import { IN_HUB_TRUST } from './hub-trust.ts';
import { IN_MACHINE } from './machine.ts';

/** All of them. */
export const GUARDS: readonly Guard[] = [
  ...IN_CLIENT,
  ...IN_DOMAIN,
  ...IN_EDGES,
  ...IN_HUB,
  ...IN_HUB_REGISTRY,
  ...IN_HUB_TRUST,
  ...IN_MACHINE,
];

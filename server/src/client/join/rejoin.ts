import type { ClientContext } from '../context.ts';

/** What to do where the hub refuses this machine's token: works whether the hub still lists the machine or not. */
export function howToRejoin({ config }: Pick<ClientContext, 'config'>): string {
  const name = config.machine?.name ?? 'NAME';
  return `An operator runs \`hv machines remove ${name}\` where \`hv machines\` still lists it; then run \`hv join URL --token T\` here.`;
}

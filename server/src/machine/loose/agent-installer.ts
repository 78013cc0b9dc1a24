import { markdownUnits } from './command-installer.ts';
import { copyInstaller } from './copies.ts';

/** A plugin's agents among the user's: `NAME` instead of `PLUGIN:NAME`. */
export const AgentInstaller = copyInstaller('agent', async ({ source }) => markdownUnits(source, 'agent'));

import type { Handlers } from './call-tool.ts';
export const HANDLERS = {} as Handlers;

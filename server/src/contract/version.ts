declare const __HAIVEMIND_VERSION__: string | undefined;

/** This program's version: the build puts package.json's in; run from source it is a prerelease of nothing. */
export const HAIVEMIND_VERSION: string =
  typeof __HAIVEMIND_VERSION__ === 'string' ? __HAIVEMIND_VERSION__ : '0.0.0-source';

import type { Call, UseCases } from '../context.ts';
import { blob, blobsMissing } from './blobs.ts';
import { info } from './info.ts';
import { install } from './install.ts';
import { list } from './list.ts';
import { orderSet, takeBackSet } from './order-set.ts';
import { clearOverride, setOverride } from './overrides.ts';
import { preview } from './preview.ts';
import { publish } from './publish.ts';
import { register } from './register.ts';
import { remove } from './remove.ts';
import { search } from './search.ts';
import { setStatus } from './set-status.ts';
import { transfer } from './transfer.ts';
import { uninstall } from './uninstall.ts';

/** The use cases of plugins, their versions and bytes. */
export const registryUseCases = {
  blob,
  blobsMissing,
  clearOverride,
  info,
  install,
  list,
  listAlias: (hub, call) => list(hub, call as unknown as Call<'list'>),
  orderSet,
  preview,
  publish,
  register,
  remove,
  search,
  setOverride,
  setStatus,
  takeBackSet,
  transfer,
  uninstall,
} satisfies Partial<UseCases>;

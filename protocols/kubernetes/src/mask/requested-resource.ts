import type { CompiledMasks } from '@sallyport/policy'
import type { ObjectContext } from './context.js'
import { fold } from './keys.js'

/** What the request asked for, from its canonical path. */
export interface RequestedResource {
  /** Empty for the core group. */
  readonly group: string
  /** Plural, as in the path. */
  readonly resource: string
  readonly subresource?: string
}

export function isSecretResource(resource: RequestedResource | undefined): boolean {
  return resource !== undefined && resource.group === '' && fold(resource.resource) === 'secrets'
}

export function contextOf(masks: CompiledMasks, resource: RequestedResource | undefined, maxDepth: number): ObjectContext {
  const name = resource === undefined ? '*' : resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`
  const tokens = resource?.subresource !== undefined && fold(resource.subresource) === 'token'
  return { masks, maxDepth, origin: { resource: name, namespace: '*', name: '*' }, tokens }
}

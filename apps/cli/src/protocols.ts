import { postgresDescriptor } from '@sallyport/protocol-postgres/analyse'
import { postgresClient } from './clients/postgres.js'
import type { ClientSetup } from './clients/client.js'

type Descriptor = typeof postgresDescriptor

/** The protocols this CLI knows: the one place in it that names them. */
const protocols: readonly { readonly descriptor: Descriptor; readonly client: ClientSetup }[] = [
  { descriptor: postgresDescriptor, client: postgresClient },
]

export const descriptors: readonly Descriptor[] = protocols.map(({ descriptor }) => descriptor)

export function clientFor(protocol: string): ClientSetup | undefined {
  return protocols.find(({ descriptor }) => descriptor.protocol === protocol)?.client
}

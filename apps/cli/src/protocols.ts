import { postgresDescriptor } from '@sallyport/protocol-postgres/analyse'
import { kubernetesDescriptor } from '@sallyport/protocol-kubernetes/analyse'
import { sshDescriptor } from '@sallyport/protocol-ssh/analyse'
import type { ProtocolDescriptor } from '@sallyport/kit'
import { postgresClient } from './clients/postgres.js'
import { kubernetesClient } from './clients/kubernetes.js'
import { sshClient } from './clients/ssh.js'
import type { ClientSetup } from './clients/client.js'

/** The protocols this CLI knows: the one place in it that names them. */
const protocols: readonly { readonly descriptor: ProtocolDescriptor; readonly client: ClientSetup }[] = [
  { descriptor: postgresDescriptor, client: postgresClient },
  { descriptor: sshDescriptor, client: sshClient },
  { descriptor: kubernetesDescriptor, client: kubernetesClient },
]

export const descriptors: readonly ProtocolDescriptor[] = protocols.map(({ descriptor }) => descriptor)

/** Programs with which targets of these protocols are reached. */
export function clientPrograms(named: readonly string[]): readonly ClientSetup['program'][] {
  return protocols.flatMap(({ descriptor, client }) => (named.includes(descriptor.protocol) ? [client.program] : []))
}

export function clientFor(protocol: string): ClientSetup | undefined {
  return protocols.find(({ descriptor }) => descriptor.protocol === protocol)?.client
}

import type { ProtocolDescriptor } from '@sallyport/kit'
import { kubernetesDescriptor } from '@sallyport/protocol-kubernetes/analyse'
import { postgresDescriptor } from '@sallyport/protocol-postgres/analyse'
import { sshDescriptor } from '@sallyport/protocol-ssh/analyse'

/** The protocols of this control plane: the one place that names them. */
export const protocols: readonly ProtocolDescriptor[] = [postgresDescriptor, sshDescriptor, kubernetesDescriptor]

/** The descriptor of a protocol, if this control plane has it. */
export function protocolOf(name: string): ProtocolDescriptor | undefined {
  return protocols.find((descriptor) => descriptor.protocol === name)
}

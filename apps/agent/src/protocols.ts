import type { ProtocolDescriptor, ProtocolEngine } from '@sallyport/kit'
import type { ActionTree } from '@sallyport/policy'
import { kubernetesDescriptor } from '@sallyport/protocol-kubernetes/analyse'
import { createKubernetesEngine } from '@sallyport/protocol-kubernetes/engine'
import { postgresDescriptor } from '@sallyport/protocol-postgres/analyse'
import { createPostgresEngine } from '@sallyport/protocol-postgres/engine'
import { sshDescriptor } from '@sallyport/protocol-ssh/analyse'
import { createSshEngine } from '@sallyport/protocol-ssh/engine'

export interface RegisteredEngine {
  readonly engine: ProtocolEngine
  readonly actions: ActionTree
  readonly withoutValues?: ProtocolDescriptor['withoutValues']
}

/** The protocols that this agent speaks: the one place in the agent that names them. */
export async function loadEngines(): Promise<ReadonlyMap<string, RegisteredEngine>> {
  const engines = [
    { engine: await createPostgresEngine(), actions: postgresDescriptor.actions, withoutValues: postgresDescriptor.withoutValues },
    { engine: await createSshEngine(), actions: sshDescriptor.actions, withoutValues: sshDescriptor.withoutValues },
    { engine: await createKubernetesEngine(), actions: kubernetesDescriptor.actions, withoutValues: kubernetesDescriptor.withoutValues },
  ]
  return new Map(engines.map((entry) => [entry.engine.protocol, entry]))
}

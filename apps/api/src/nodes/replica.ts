import { randomUUID } from 'node:crypto'

/** Names this process among the replicas of the control plane. */
export const replicaId = randomUUID()

import { loadPackageDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { fileURLToPath } from 'node:url'
import type { ProtoGrpcType } from './types/control.js'
import type { AgentMessage, AgentMessage__Output } from './types/sallyport/v1/AgentMessage.js'

export type * from './messages.js'

/**
 * How messages look in code; `generate-types.sh` is called with the same choices.
 * - names are camelCase;
 * - 64-bit integers are numbers: our counters and times stay below 2^53, and strings cost an allocation per field;
 * - bytes are Buffers that share the received message's memory;
 * - absent scalars have their default, absent sub-messages are null; of a `oneof` only the member that was sent is
 *   there, and the virtual field (`kind`, `body`) names it.
 */
const definition = loadSync(['tunnel.proto', 'control.proto'], {
  includeDirs: [fileURLToPath(new URL('../proto', import.meta.url))],
  keepCase: false,
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
})

// The one cast: loadPackageDefinition's type knows nothing of the files; src/types is generated from them.
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const v1 = (loadPackageDefinition(definition) as unknown as ProtoGrpcType).sallyport.v1

/** Client constructors: `new TunnelClient(address, credentials, options)`. */
export const TunnelClient = v1.Tunnel
export const ControlPlaneClient = v1.ControlPlane
export const EnrolmentClient = v1.Enrolment

/** Service definitions for `server.addService(definition, handlers)`. */
export const tunnelService = v1.Tunnel.service
export const controlPlaneService = v1.ControlPlane.service
export const enrolmentService = v1.Enrolment.service

/** The payload of a SignedMessage: the bytes that are signed and never re-serialised. */
export function serializeAgentMessage(message: AgentMessage): Buffer {
  return v1.AgentMessage.serialize(message)
}

/** @throws when the bytes aren't an AgentMessage. Check the signature over the bytes first. */
export function deserializeAgentMessage(payload: Buffer): AgentMessage__Output {
  return v1.AgentMessage.deserialize(payload)
}

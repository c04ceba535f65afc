import type { Socket } from 'node:net'
import type { FrontContext, ProtocolFront } from '@sallyport/kit'
import { SshConnection } from './connection.js'

/** The SSH front: transport and authentication here, everything else in the agent. */
export const sshFront: ProtocolFront = {
  protocol: 'ssh',
  usesHostKeys: true,
  handle(socket: Socket, context: FrontContext): void {
    new SshConnection(socket, context).start()
  },
}

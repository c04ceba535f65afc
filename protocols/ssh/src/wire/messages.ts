import { z } from 'zod'

const name = z.string().max(1024)
const port = z.number().int().min(0).max(65535)
const dimension = z.number().int().min(0).max(0xffff_ffff)

/** What a channel is opened for (RFC 4254 sections 6.1 and 7.2). */
export const channelOpen = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('session') }),
  z.strictObject({ kind: z.literal('direct-tcpip'), host: name, port, originHost: name, originPort: port }),
  z.strictObject({ kind: z.literal('forwarded-tcpip'), host: name, port, originHost: name, originPort: port }),
])
export type ChannelOpen = z.infer<typeof channelOpen>

export const terminalSize = { columns: dimension, rows: dimension, width: dimension, height: dimension }

/** Requests on a session's channel, or on the connection as a whole (channel 0). */
export const channelRequest = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('env'), name, value: z.string().max(32_768) }),
  z.strictObject({ type: z.literal('pty'), term: name, modes: z.record(z.string().max(16), dimension), ...terminalSize }),
  z.strictObject({ type: z.literal('exec'), command: z.string().max(65_536) }),
  z.strictObject({ type: z.literal('shell') }),
  z.strictObject({ type: z.literal('subsystem'), name }),
  z.strictObject({ type: z.literal('window-change'), ...terminalSize }),
  z.strictObject({ type: z.literal('signal'), name }),
  z.strictObject({ type: z.literal('x11') }),
  z.strictObject({ type: z.literal('agent-forward') }),
  /** Engine to front. */
  z.strictObject({ type: z.literal('exit-status'), status: dimension }),
  z.strictObject({ type: z.literal('exit-signal'), name, core: z.boolean(), message: z.string().max(4096) }),
  /** On channel 0. */
  z.strictObject({ type: z.literal('tcpip-forward'), host: name, port }),
  z.strictObject({ type: z.literal('cancel-tcpip-forward'), host: name, port }),
  /** The front refused this without asking; for the record. */
  z.strictObject({
    type: z.literal('refused'),
    action: z.enum(['ssh.exec.opaque', 'ssh.forward', 'ssh.reverse_forward', 'ssh.x11', 'ssh.agent_forward']),
    text: z.string().max(4096),
    reason: name,
  }),
  /** Engine to front: which port was bound for a tcpip-forward with port 0. */
  z.strictObject({ type: z.literal('forward-bound'), host: name, requested: port, port }),
])
export type ChannelRequest = z.infer<typeof channelRequest>
export type RequestOf<T extends ChannelRequest['type']> = Extract<ChannelRequest, { readonly type: T }>

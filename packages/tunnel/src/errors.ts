import type { ChannelError } from '@sallyport/kit'

/** Why the tunnel itself ended a channel. */
export const tunnelErrors = {
  lost: {
    code: 'TUNNEL_LOST',
    message: 'the connection between gateway and agent was lost',
    hint: 'Reconnect; whether the last command ran is in the audit trail.',
  },
  windowOverrun: {
    code: 'TUNNEL_WINDOW_OVERRUN',
    message: 'the other side of the tunnel sent more than its window allows',
    hint: 'Gateway and agent must run compatible versions; report this if they do.',
  },
  protocol: {
    code: 'TUNNEL_PROTOCOL',
    message: 'the other side of the tunnel broke the channel protocol',
    hint: 'Gateway and agent must run compatible versions; report this if they do.',
  },
  lingered: {
    code: 'TUNNEL_LINGER_EXPIRED',
    message: 'the session ended, and its last bytes were not taken in time',
    hint: 'Read results faster, or ask for less at once.',
  },
  tooManyChannels: {
    code: 'TUNNEL_TOO_MANY_SESSIONS',
    message: 'the agent serves as many sessions as it may',
    hint: 'Try again later, or run another agent for this target.',
  },
  readerFailed: {
    code: 'INTERNAL',
    message: 'the session failed on an internal error',
    hint: 'Reconnect; report this if it happens again.',
  },
} as const satisfies Record<string, ChannelError>

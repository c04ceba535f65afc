import type { AuthConversation, ChannelError } from '@sallyport/kit'

/** A conversation that is over before it began. */
export function refusedConversation(error: ChannelError): AuthConversation {
  const nothing = (): void => {}
  const step = { kind: 'refused', error } as const
  return {
    async next() {
      return step
    },
    password: nothing,
    publicKey: nothing,
    saslInitial: nothing,
    saslResponse: nothing,
    abort: nothing,
  }
}

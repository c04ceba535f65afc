import type { AuthConversation, ChannelError } from '@sallyport/kit'

/** A conversation that is over before it began. */
export function refusedConversation(error: ChannelError): AuthConversation {
  const nothing = (): void => {}
  return {
    next: () => Promise.resolve({ kind: 'refused', error }),
    password: nothing,
    saslInitial: nothing,
    saslResponse: nothing,
    abort: nothing,
  }
}

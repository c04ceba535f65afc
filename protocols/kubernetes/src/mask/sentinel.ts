import { redacted } from '@sallyport/policy'

/** What stands in place of a value of a Secret, and of a value that a policy masks with `null`. Says nothing about the value. */
export const textSentinel = '[masked by Sallyport]'

/** The same where the API wants base64: `Secret.data`, `ConfigMap.binaryData`. */
export const base64Sentinel = Buffer.from(textSentinel, 'utf8').toString('base64')

/** Every text that a mask writes and that a request must not bring back. */
export const sentinels: readonly string[] = [textSentinel, base64Sentinel, redacted]

/**
 * Masked in part (`a***`, `***1234`, `d***@e***.com`): the whole value has the shape that the policy's `partial` gives it.
 * Another text may look the same, and a hash looks like any other text.
 */
export const partialShape = /^(?:\*{3}[0-9A-Za-z]{0,4}|[^*]{1,2}\*{3}(?:@[^*]{0,2}\*{3}(?:\.[^*\s]{1,63})?)?)$/u

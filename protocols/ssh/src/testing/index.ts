export { msg, RawClient, type RawOptions } from './raw-client.js'
export { freePort, hasSshd, Sshd } from './sshd.js'

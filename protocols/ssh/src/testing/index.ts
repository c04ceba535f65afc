export { msg, RawClient, type RawOptions } from './raw-client.js'

export { sshDescriptor } from './descriptor.js'

export { TestAuthority, type IssueOptions } from './authority.js'

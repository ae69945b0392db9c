import http from 'node:http'
import { workloads } from './workloads.js'

/** Sends the requests of workloads, one at a time on a connection that stays open. A wrong answer is an error. */
export function createRequester() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  let turn = 0

  return {
    ask(workload, { url, cookies }) {
      turn += 1
      const cookie = cookies[turn % cookies.length]
      const headers = cookie === undefined ? {} : { cookie }
      return new Promise((resolve, reject) => {
        http
          .get(url, { agent, headers }, (res) => {
            let text = ''
            res.setEncoding('utf8').on('data', (chunk) => {
              text += chunk
            })
            res.on('end', () => {
              if (res.statusCode === 200 && workloads[workload].answer.test(text)) resolve()
              else reject(new Error(`${workload}: it answers ${res.statusCode} ${text}`))
            })
          })
          .on('error', reject)
      })
    },
    close: () => agent.destroy(),
  }
}

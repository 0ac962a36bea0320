// Every text of the dashboard in both languages. A test checks that the two lists have the same keys.
export const texts = {
  en: {
    skip: "Skip to content", pages: "Pages", fleet: "Fleet", episodes: "Episodes", checkpoints: "Checkpoints",
    live: "live", connecting: "connecting…", lost: "connection lost, trying again", updated: "as of {time}",
    noDatabase: "The database cannot be asked: {reason}. What the gateway knows by itself is shown.",
    notReady: "The gateway is not ready: {reason}",
    robotsMoving: "Robots asking", ofKnown: "of {n} known", lateChunks: "Chunks that came too late",
    latencyNow: "Latency, median", p99: "99 % within {ms} ms", workersUp: "Workers in service", ofConfigured: "of {n}",
    lastTwoMinutes: "last 2 minutes", latencyTitle: "Observation to new motion, last 5 minutes (ms)",
    latencyChart: "Line chart of latency: median now {p50} ms, 99th percentile now {p99} ms.",
    median: "median", percentile: "99th percentile", late: "a chunk came after the motion had run out",
    noTraffic: "No requests in the last five minutes.", robots: "Robots", workers: "Workers", robot: "Robot",
    state: "State", task: "Task", runway: "Runway", lateShare: "Too late", latency: "Latency", latencyPair: "Latency, median / 99 %", now: "now", event: "event", failedRequest: "failed request", worker: "Worker",
    lastSeen: "Last request", never: "not lately", ago: "{n} s ago", noRobots: "No robot has registered yet.",
    noWorkers: "No worker is configured.", checkpoint: "Checkpoint", inFlight: "In flight", waiting: "Waiting",
    batch: "Mean batch", inferTime: "Inference, median", queueTime: "Wait at worker, median", answers: "Answers",
    up: "up", down: "down", draining: "draining", idle: "idle", running: "running", success: "success",
    dropped: "dropped", wrong_box: "wrong box", timeout: "timeout", refused: "rightly refused", aborted: "aborted",
    failure: "failure", started: "Started", duration: "Duration", chunks: "Chunks", starved: "Starved",
    outcome: "Outcome", all: "all", taskContains: "Task contains", filter: "Show", older: "Older episodes",
    noEpisodes: "No episode fits.", reason: "Reason", mode: "Mode", decidedBy: "Decided by", limited: "Limited ticks",
    missed: "Missed cycles", failed: "Failed requests", workerShare: "Answered by", scene: "Scene seed",
    timeline: "Timeline", pictures: "What the cameras saw", cameraPictures: "Pictures of the camera {camera}", runwayChart: "Motion time left in seconds over the episode; lowest {low} s.",
    chunkChart: "Latency of {n} chunks in milliseconds; the longest took {max} ms.",
    runwayTitle: "Runway (s): motion time left", chunkTitle: "Chunk latency (ms), by worker",
    events: "Events", noEvents: "No events were recorded.", chunkTable: "All chunks as a table",
    noRecords: "No telemetry of this episode has arrived.", time: "Time", kind: "Kind", what: "What", status: "Status",
    roundTrip: "Round trip", runwayArrival: "Runway at arrival", attempts: "Attempts", back: "All episodes",
    unknownEpisode: "There is no episode with this number.", compareTitle: "Success by checkpoint",
    compareNote: "Dots are success rates, bars the 95 % Wilson intervals. Aborted episodes do not count.",
    compareChart: "Success rates for the task {task}.", noComparison: "No finished episodes yet.",
    successRate: "Success", interval: "95 % interval", episodesCount: "Episodes", difference: "Difference", differenceTo: "Difference to {name}",
    beyondChance: "more than chance", withinChance: "may be chance", reference: "reference", points: "points",
    failedToLoad: "This could not be loaded: {reason}", seconds: "s", milliseconds: "ms", limitReached: "limited",
  },
  zh: {
    skip: "跳到内容", pages: "页面", fleet: "机队", episodes: "任务记录", checkpoints: "模型对比",
    live: "实时", connecting: "正在连接…", lost: "连接中断，正在重试", updated: "更新于 {time}",
    noDatabase: "数据库暂时无法查询：{reason}。此处只显示网关自身掌握的信息。",
    notReady: "网关尚未就绪：{reason}",
    robotsMoving: "正在请求的机器人", ofKnown: "共 {n} 台", lateChunks: "迟到的动作块",
    latencyNow: "延迟中位数", p99: "99 % 在 {ms} 毫秒内", workersUp: "在役推理节点", ofConfigured: "共 {n} 个",
    lastTwoMinutes: "最近 2 分钟", latencyTitle: "从观测到新动作的延迟（最近 5 分钟，毫秒）",
    latencyChart: "延迟折线图：当前中位数 {p50} 毫秒，第 99 百分位 {p99} 毫秒。",
    median: "中位数", percentile: "第 99 百分位", late: "动作块到达时动作已耗尽",
    noTraffic: "最近五分钟没有请求。", robots: "机器人", workers: "推理节点", robot: "机器人",
    state: "状态", task: "任务", runway: "剩余动作", lateShare: "迟到", latency: "延迟", latencyPair: "延迟（中位数 / 99 %）", now: "现在", event: "事件", failedRequest: "失败请求", worker: "推理节点",
    lastSeen: "最近请求", never: "近期没有", ago: "{n} 秒前", noRobots: "尚无机器人注册。",
    noWorkers: "未配置推理节点。", checkpoint: "模型", inFlight: "处理中", waiting: "等待",
    batch: "平均批量", inferTime: "推理中位数", queueTime: "节点等待中位数", answers: "应答数",
    up: "在役", down: "停用", draining: "排空中", idle: "空闲", running: "进行中", success: "成功",
    dropped: "掉落", wrong_box: "拿错箱子", timeout: "超时", refused: "正确拒绝", aborted: "中止",
    failure: "失败", started: "开始时间", duration: "时长", chunks: "动作块", starved: "断供",
    outcome: "结果", all: "全部", taskContains: "任务包含", filter: "显示", older: "更早的记录",
    noEpisodes: "没有符合条件的记录。", reason: "原因", mode: "模式", decidedBy: "判定者", limited: "受限周期",
    missed: "错过周期", failed: "失败请求", workerShare: "应答节点", scene: "场景种子",
    timeline: "时间线", pictures: "相机所见", cameraPictures: "相机 {camera} 的图像", runwayChart: "任务过程中的剩余动作时间（秒）；最低 {low} 秒。",
    chunkChart: "{n} 个动作块的延迟（毫秒）；最长 {max} 毫秒。",
    runwayTitle: "剩余动作时间（秒）", chunkTitle: "动作块延迟（毫秒），按推理节点",
    events: "事件", noEvents: "没有记录到事件。", chunkTable: "以表格列出全部动作块",
    noRecords: "尚未收到此任务的遥测数据。", time: "时间", kind: "类别", what: "内容", status: "状态",
    roundTrip: "往返", runwayArrival: "到达时剩余动作", attempts: "尝试次数", back: "全部记录",
    unknownEpisode: "没有此编号的任务记录。", compareTitle: "各模型成功率",
    compareNote: "圆点为成功率，横线为 95 % 威尔逊区间。中止的任务不计。",
    compareChart: "任务“{task}”的成功率。", noComparison: "尚无已完成的任务。",
    successRate: "成功率", interval: "95 % 区间", episodesCount: "任务数", difference: "差别", differenceTo: "与 {name} 之差",
    beyondChance: "超出偶然", withinChance: "可能是偶然", reference: "基准", points: "个百分点",
    failedToLoad: "无法加载：{reason}", seconds: "秒", milliseconds: "毫秒", limitReached: "受限",
  },
}

let language = localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en")

export function currentLanguage() { return language }

export function setLanguage(next) {
  language = next
  localStorage.setItem("language", next)
}

export function t(key, values = {}) {
  const text = texts[language][key] ?? texts.en[key] ?? key
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "")
}

export function number(value, digits = 0) {
  if (value === null || value === undefined) return "–"
  return Number(value).toLocaleString(language, {minimumFractionDigits: digits, maximumFractionDigits: digits})
}

export function ms(value) { return value === null || value === undefined ? "–" : `${number(value)} ${t("milliseconds")}` }

export function seconds(value, digits = 1) {
  return value === null || value === undefined ? "–" : `${number(value, digits)} ${t("seconds")}`
}

export function percent(value, digits = 1) {
  return value === null || value === undefined ? "–" : `${number(value, digits)} %`
}

export function moment(text) {
  if (!text) return "–"
  return new Date(text).toLocaleString(language, {month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit"})
}

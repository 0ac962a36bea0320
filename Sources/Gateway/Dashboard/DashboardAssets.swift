/// The files of the dashboard, compiled in: a browser on the shop floor needs nothing but the gateway.
enum DashboardAssets {
    struct Asset: Sendable {
        var type: String
        var bytes: [UInt8]
    }

    static let page = Asset(type: "text/html; charset=utf-8", bytes: PackageResources.index_html)

    static let files: [String: Asset] = [
        "style.css": Asset(type: "text/css; charset=utf-8", bytes: PackageResources.style_css),
        "app.js": script(PackageResources.app_js),
        "charts.js": script(PackageResources.charts_js),
        "checkpoints.js": script(PackageResources.checkpoints_js),
        "dom.js": script(PackageResources.dom_js),
        "episodes.js": script(PackageResources.episodes_js),
        "fleet.js": script(PackageResources.fleet_js),
        "text.js": script(PackageResources.text_js),
    ]

    private static func script(_ bytes: [UInt8]) -> Asset {
        Asset(type: "text/javascript; charset=utf-8", bytes: bytes)
    }
}

@main struct MediaWorkerMain {
    static func main() {}
}

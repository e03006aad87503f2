@main struct LoadClientMain {
    static func main() {}
}

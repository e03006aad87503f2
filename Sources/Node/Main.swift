@main struct NodeMain {
    static func main() {}
}
